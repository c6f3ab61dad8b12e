from common import *
import keras; from keras import layers as L
x=np.asarray(x); yc=R.integers(0,5,64)
for bn in (0,1):
    k=keras.initializers.RandomNormal(stddev=20.,seed=1)
    m=keras.Sequential([L.Input((16,)),L.Dense(64,'sigmoid',kernel_initializer=k)]+[L.BatchNormalization()]*bn+[L.Dense(64,'relu'),L.Dense(5,'softmax')])
    z=x@np.array(m.layers[0].kernel.value); s=1/(1+np.exp(-np.float64(z)))
    fl=4*s*(1-s)<.05
    print("BN after" if bn else "no BN","flat slopes",fl.mean(),"units flat for all examples",fl.all(0).mean(),"E z2",(z**2).mean())
    print(str(winit.audit(m,x,yc,'sparse_categorical_crossentropy')).splitlines()[0])
