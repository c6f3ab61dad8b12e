from common import *
def f(p,x):
    h=relu(p['z']@p['h1']); W1=(h@p['h2']).reshape(16,32); W2=(h@p['h3']).reshape(32,1)
    return relu(x@W1)@W2
p=dict(z=jnp.asarray(R.normal(size=8),jnp.float32),h1=N(8,64,g=2**.5),h2=N(64,512,g=.35),h3=N(64,32,g=.02))
print("before",float(mse(f(p,x),y)),winit.jax.audit(f,p,x,y,mse).ok)
q=winit.jax.reinitialize(f,p,x,rng=0)
print("z",np.unique(q['z']),"h1",np.unique(q['h1']))
print("after",float(mse(f(q,x),y))); print(winit.jax.audit(f,q,x,y,mse))
