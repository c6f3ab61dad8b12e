from common import *
import keras; from keras import layers as L
x=np.asarray(x); y=np.asarray(y)
D=lambda n,**k: L.Dense(n,'relu',kernel_initializer='he_normal',**k)
m=keras.Sequential([L.Input((16,)),D(64,name='first'),L.Dense(64,'relu',kernel_initializer=keras.initializers.RandomNormal(stddev=3.),name='bad',trainable=False),D(64),L.Dense(1)])
print(winit.audit(m,x,y,'mse'))
m.get_layer('bad').kernel.assign(R.normal(size=(64,64))*np.sqrt(2/64)); print("bad alone drawn with he_normal:",str(winit.audit(m,x,y,'mse')).splitlines()[0])
