from common import *
import keras; from keras import layers as L
f=lambda p,x: relu(x@p['a'])@p['b']; p=dict(a=N(16,64),b=N(64,1)); m=keras.Sequential([L.Input((16,)),L.Dense(8,'relu'),L.Dense(1)]); xn=np.asarray(x); yn=np.asarray(y)
for n,g in dict(empty=lambda:winit.jax.audit(f,p,x[:0]),scalar_x=lambda:winit.jax.audit(f,p,3.),None_x=lambda:winit.jax.audit(f,p,None),vector_loss=lambda:winit.jax.audit(f,p,x,y,lambda o,y:(o-y)**2),trainable_str=lambda:winit.jax.audit(f,p,x,trainable="a"),y_longer=lambda:winit.jax.audit(f,p,x,y[:7],mse),output_str=lambda:winit.jax.audit(lambda p,x:"hi",p,x),python_if=lambda:winit.jax.audit(lambda p,x:f(p,x) if x.sum()>0 else x,p,x),scalar_output=lambda:winit.jax.audit(lambda p,x:f(p,x).sum(),p,x),nothing_trainable=lambda:winit.jax.audit(f,p,x,trainable=lambda n:False),keras_list_x=lambda:winit.audit(m,xn.tolist()),keras_loss_const=lambda:winit.audit(m,xn,yn,lambda a,b:3),force_yes=lambda:winit.reinitialize(m,force="yes"),nan_param=lambda:winit.jax.audit(f,dict(p,a=p['a']*np.nan),x)).items():
    try: print(n,'->',str(g()).replace('\n',' | ')[:420])
    except Exception as e: print(n,'->',type(e).__name__,':',str(e)[:200])
